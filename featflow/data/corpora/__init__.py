"""Sources of documents, a file a kind: `documents(source, seed) -> Iterator[Document]`."""
