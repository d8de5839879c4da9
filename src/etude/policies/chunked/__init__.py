"""What Etude's own policies (flow, VINN) have in common as policies of LeRobot's: chunks from the present alone."""
