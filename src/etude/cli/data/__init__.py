"""`etude data …`: the commands about datasets, one module each."""
