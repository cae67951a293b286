"""Both ledgers as figures for whoever watches."""
