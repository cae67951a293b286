"""What the containers of docker-compose.yaml run beside the product: preparations and health."""
