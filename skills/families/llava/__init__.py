"""The LLaVA family and the embedded default: a tower that proposes regions, a small decoder that names them."""
