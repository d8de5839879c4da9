"""The flow-matching chunk policy, as LeRobot's triple: configuration, modeling, processor."""
