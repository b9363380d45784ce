"""What makes the paper's tables, figures and report from results. Only pipeline, bench and apps may import it."""
