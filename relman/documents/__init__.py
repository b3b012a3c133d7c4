"""The JSON documents of the contract: their shapes, and the way from and to the model."""
