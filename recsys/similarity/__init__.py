"""How a query and an item are compared; what an index must know is carried by the vectors."""
