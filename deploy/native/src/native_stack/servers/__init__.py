"""The servers that Pinflow stands on, each as a program of the stack."""
