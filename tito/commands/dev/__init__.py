"""Write modules and check the course itself."""
