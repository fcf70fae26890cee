"""How a data card looks: in the terminal, as pictures, as files, and with MLflow."""
