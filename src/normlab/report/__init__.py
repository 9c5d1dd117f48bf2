"""Reports: the records of a study in; tables, figures, a discussion and one page out. Neither JAX nor Keras is needed."""
