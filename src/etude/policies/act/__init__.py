"""ACT (Zhao et al. 2023): LeRobot's action chunking transformer, with a choice of backbone."""
