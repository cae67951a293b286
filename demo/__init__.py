"""The main job shown end to end, on data made here."""
