"""What a shopper is after at this moment: heads on the encoder's trunk, trained beside the next item."""
