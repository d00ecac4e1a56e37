"""Networks: what a tenant plugs ports into, and the external ones that lead out."""
