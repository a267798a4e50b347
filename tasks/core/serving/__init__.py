"""Model servers: Ollama or the embedded one, Modelfiles, registration, promotion."""
