"""Vector indexes behind one interface: exact (numpy, the oracle) and FAISS."""
