"""The LLaVA family and the embedded default: a convolutional tower that proposes regions, and a small decoder that names them."""
