"""How fast the learner finds what simulated people like, beside the methods of others."""
