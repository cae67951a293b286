"""Pure stages: frames and records in and out; no disk, network or Airflow."""
