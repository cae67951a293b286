"""What only the container's image needs: small packages, and whether the server is live."""
