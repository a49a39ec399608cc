"""What responses and auctions teach: rates of response, and how far to shade a bid."""
