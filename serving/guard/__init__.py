"""What stands between the models and the world: keys, logs, metrics, and copies of the traffic."""
