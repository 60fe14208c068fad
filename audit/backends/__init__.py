"""One module per kind of model: each answers likelihood, fill, classify, embed or generate, or refuses."""
