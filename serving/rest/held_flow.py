"""Flow control of one HTTP connection."""

from uvicorn.protocols.http.flow_control import FlowControl


class HeldFlow(FlowControl):
    """Reading stays paused while there is something left to parse."""

    is_held = False

    def resume_reading(self) -> None:
        """Read on, unless something is left to parse."""
        if self.read_paused and not self.is_held:
            super().resume_reading()

    def hold(self) -> None:
        """Stop reading until `let_go`, whatever resumes it meanwhile."""
        self.is_held = True
        self.pause_reading()

    def let_go(self) -> None:
        """Read on."""
        self.is_held = False
        self.resume_reading()
