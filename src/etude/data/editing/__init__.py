"""New datasets of the episodes of others: chosen and merged (selecting, aligning), trimmed, and cut (pieces)."""
