"""The airline: every 2013 departure from New York, ten models, and who asks them."""
