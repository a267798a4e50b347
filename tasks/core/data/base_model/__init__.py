"""The base model as a Hugging Face folder: fetched, converted, checked."""
