"""Readers of published probe sets, in their authors' own file formats."""
