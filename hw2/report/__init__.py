"""The report: a page of figures and tables about a run, or several."""
