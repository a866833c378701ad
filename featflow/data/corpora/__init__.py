"""Sources of documents, one file a kind: each has `documents(source, seed) -> Iterator[Document]`."""
