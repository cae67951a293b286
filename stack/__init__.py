"""Run the whole product on one machine: no root, no containers, nothing left behind.

`python -m stack up|down|status|logs` for people, `stack.client.running_stack` for programs. Nothing
is imported here, so that a half-made environment can still be told apart from a broken one.
"""
