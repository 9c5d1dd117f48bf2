"""What a study left behind, for other programs: tables, TensorBoard, MLflow."""
