"""The product in plain Python: what runs inside a task, a test or a notebook alike."""
