"""One training stage, alone in its process: SFT or DPO of a LoRA adapter."""
