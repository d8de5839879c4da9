"""ALOHA: two ViperX arms face each other across a table, as in gym-aloha and ACT (Zhao et al. 2023)."""
