"""The benchmark on pretrained base models and real photographs (`bench-real`)."""
