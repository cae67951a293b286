"""The frozen records that travel between steps, as XCom and as MLflow artifacts."""
