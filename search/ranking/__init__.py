"""How neighbours become a ranking: fusion, folding, diversity, and what is too weak to show."""
