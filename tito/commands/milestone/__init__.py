"""Train real models with what you built."""
