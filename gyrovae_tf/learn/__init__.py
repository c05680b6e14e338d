"""Everything that needs TensorFlow: datasets, training, quantisation, evaluation."""
