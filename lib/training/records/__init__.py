"""What a run leaves behind beside its checkpoints: the journal, MLflow that follows it, and who the run is."""
