"""Reports: the records of a study in; tables, figures, a discussion and one page out. JAX and Keras stay out."""
