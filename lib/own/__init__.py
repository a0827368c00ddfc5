"""A user's own molecules: reading and checking them, fine-tuning on them, the learning curve."""
