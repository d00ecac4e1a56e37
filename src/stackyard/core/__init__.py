"""The kernel of Stackyard: knows no OpenStack resource and imports nothing from the rest."""
