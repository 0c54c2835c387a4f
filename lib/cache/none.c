extern int none; int none;
