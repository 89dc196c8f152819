"""`python -m tiedlm`: the command `tiedlm`, also where its script is not on the path."""

import sys

from tiedlm.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
