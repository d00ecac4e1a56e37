"""OS-EP-FILTER: which endpoints a project sees in its catalogue, told one by one or by groups of them."""
