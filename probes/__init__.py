"""What is asked: probe sets, the requests made of a model, and how answers become scores."""
