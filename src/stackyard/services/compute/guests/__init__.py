"""What servers are told of themselves: the metadata service and the config drive, with the same documents.

`facts` gathers what there is to tell, `openstack` and `ec2` are the documents of the two formats, `metadata` answers
over the network, `config_drive` lays out files.
"""
