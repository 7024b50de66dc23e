"""Words of documents: as the index has them, as a query has them, found and weighed."""
